"""The container's two commands, train and serve, as SageMaker starts them."""
