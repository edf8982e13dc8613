"""What a subscription has at AWS, as a local row that pages show: building, ready, stopped, failed, ending, deleted."""
