"""What `import contrasweep` offers: sweeps and their models, as data frames."""
