"""The trivia game: its models and its prompts."""
