"""One model for clients that share neither modality nor label set, through CLIP's space.

A class is its semantic embedding, an example an image's or a caption's. Only an adapter between the
two is trained and federated, so that the model has no label index: a class that nobody has an image
of, or that arrives later, is one vector more.
"""
