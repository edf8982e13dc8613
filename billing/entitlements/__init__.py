"""What an organization may do, derived from facts."""
