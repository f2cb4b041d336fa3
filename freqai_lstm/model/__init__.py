"""The network and its training: torch only.

From the rows to the prediction: ``windows`` - which rows make a window; ``network`` - what maps a
window to labels; ``kernel`` - its layers in training on a CPU; ``training`` - the loop;
``ensemble`` - several networks as one; ``persistence`` - what is known before the network.
"""

from freqai_lstm.model.network import MODEL_VERSION, PyTorchLSTMModel, build_network
