"""What is wrong with an installation: each check is a function in the list of `services.doctor.examination`."""
