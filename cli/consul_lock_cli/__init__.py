"""The command line `consul-lock`.  It uses the public names of `consul_lock`, and only those."""
