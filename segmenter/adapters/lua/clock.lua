-- The server's time, of the server that keeps KEYS[1]: seconds and microseconds.
return redis.call('TIME')
