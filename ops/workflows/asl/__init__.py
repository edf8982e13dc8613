"""The Amazon States Language, pure: definitions are parsed, checked and stepped; nothing here talks to the world."""
