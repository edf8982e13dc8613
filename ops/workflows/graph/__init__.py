"""State machines as pictures: what is joined to what, and where each part stands. Pure: geometry, no markup."""
