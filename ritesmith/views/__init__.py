"""What a run looks like, made of its trace: a timeline, diagrams, pictures, a page, an account in sentences. Pure."""
