"""The stages of the state machine, each in a folder named by its verb: handler, contract, example."""
