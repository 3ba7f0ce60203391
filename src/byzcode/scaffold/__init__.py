"""Begin something: a folder with the workflow, a component or a study."""
