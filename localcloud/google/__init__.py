"""An embedded Google Compute Engine: its REST interface, disks in files, and machines that drivers run."""
