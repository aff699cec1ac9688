"""PersQA: a job queue that turns images into personalized question-answer pairs."""
