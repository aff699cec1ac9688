#!/bin/sh
# Takes a GPU that no other worker of this machine has, and becomes `persqa`: Compose gives all replicas the same GPUs.
# The lock is the kernel's, on a file in the volume that all replicas have as their home: it ends with the process.
set -eu
command -v nvidia-smi >/dev/null || exec persqa "$@"
folder=$HOME/.gpus
mkdir -p "$folder"
for gpu in $(nvidia-smi -L | sed -n 's/^GPU \([0-9]*\):.*/\1/p'); do
    exec 9>"$folder/$gpu"
    if flock --nonblock 9; then
        export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES="$gpu"
        exec persqa "$@"
    fi
done
echo "one-gpu.sh: every GPU of this machine has a worker already" >&2
exit 2
