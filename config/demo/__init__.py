"""`make demo`: the whole portal on one machine. `python -m config.demo` starts it, Ctrl-C stops it.

    supervisor   from start to stop: what is started in which order, watched until Ctrl-C
    services     how each part is started and known to be ready
    plan         steps in parallel where one does not need the other
    children     processes: started, written down, stopped; those of a killed run are found again
    environment  what the processes are told; keys that outlive a run; `.local/env` for a second terminal
    places       directories under `.local`; the lock; room on the disk
    ports        where it listens, and what is said when something else does
    screen       steps with ticks and seconds
    prepare      schema, translations, static files (Django processes of their own)
    data         webhooks, catalogue and company, made through Stripe's API (a Django process of its own)
    mail         the mail that the demo sends, read in the browser

Only prepare, data (with catalogue and company) and mail import Django.
Nothing outside this room imports it but settings and addresses, in the demo.
"""
