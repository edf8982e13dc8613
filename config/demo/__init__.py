"""`make demo`: the whole portal on one machine. `python -m config.demo` starts it, Ctrl-C stops it.

    supervisor   what is started, in which order, watched until Ctrl-C
    children     processes: started, written down, stopped; those of a killed run are found again
    environment  what the processes are told; keys that outlive a run; `.local/env` for a second terminal
    places       directories under `.local`; the lock; room on the disk
    screen       steps with ticks and seconds
    prepare      schema, people, translations, static files (a Django process of its own)
    data         a company with customers in different states, made through Stripe's API
    mail         the mail that the demo sends, read in the browser

Only prepare, data and mail import Django. Nothing outside this room imports it but the addresses, in the demo.
"""
