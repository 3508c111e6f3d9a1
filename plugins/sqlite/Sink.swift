// sink sqlite
