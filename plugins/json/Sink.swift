// sink json
