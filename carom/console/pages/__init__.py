"""The pages, one topic a module: each a coroutine from a visit to a response."""
