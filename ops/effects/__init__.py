"""What changes the world outside. Each effect answers with an `Outcome`, never with an exception of the outside's."""
