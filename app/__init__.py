"""The example: a trivia game whose assistants are declared here and managed with ``inv asst.*``."""
