"""Runs any command on this machine's userland under other kernels: ``python -m vmtest --help``.

The guest sees the machine's own root file system, so what is tested is the same files on another kernel.
Needs qemu-system-x86 and virtme-ng, no KVM and no root.
"""
