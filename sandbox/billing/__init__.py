"""What subscriptions and invoices are made of: calendar, sums, lines, collection, lifecycle."""
