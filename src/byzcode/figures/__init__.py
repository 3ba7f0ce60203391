"""Pictures: one module a kind of plot, in one table."""
