// sink csv
