"""Which entities a training compares its mentions with, beside the answers of the batch: one sampler a file."""
