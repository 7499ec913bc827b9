import torch

# the nets here are tiny: a second thread costs more than it gives, many times more on a busy machine
torch.set_num_threads(1)
