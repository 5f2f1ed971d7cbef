"""Where the exporter's text comes from; each source is asked on its own and may fail on its own.

<<<<<<< HEAD
source       what a source is
server_page  the page of the metrics server: Triton's, vLLM's, the relay's and the supervisor's families
=======
source        what a source is
server_page   the page of the metrics server: Triton's, vLLM's, the relay's and the supervisor's families
server        whether the server serves, and what it is made of
processes     CPU, memory, descriptors and threads of each process; child_names says what they are called
gpus          NVIDIA's GPUs; gpu_families is the list of what is read
host          cores, memory, disk
>>>>>>> prom
"""
