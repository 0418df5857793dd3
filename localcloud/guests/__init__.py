"""What runs in the embedded clouds' machines: QEMU on their very disks, or a script that says what an agent says."""
