"""An AWS for this machine: moto's server, with stacks that take their time and say so on the bus.

    python -m config.demo.aws --port 5555 --queue kessai-events

moto builds a stack within the call that asks for it, never fails, and tells nobody. AWS takes minutes, sometimes fails,
and puts an event on the account's bus at each change ("CloudFormation Stack Status Change"). `lives` adds that, `bus`
the way from the bus into a queue, `page` a page and an address by which the next builds are made to fail. The portal
knows nothing of it: it is reached by URL alone.
"""
