"""Problems that someone should know, and what can be done about them."""
