"""The verbs of activities, `noun:verb`: what pages translate, filter and count by."""

CHECKOUT_COMPLETED = "checkout:completed"
CHECKOUT_EXPIRED = "checkout:expired"

SUBSCRIPTION_STARTED = "subscription:started"  # it exists, but its first payment has not succeeded
SUBSCRIPTION_ACTIVATED = "subscription:activated"  # from now on it serves: active or trialing
SUBSCRIPTION_CHANGED = "subscription:changed"  # plan, quantity or trial
SUBSCRIPTION_PAST_DUE = "subscription:past_due"
SUBSCRIPTION_UNPAID = "subscription:unpaid"  # Stripe has stopped trying: access rests
SUBSCRIPTION_CANCELLATION_SCHEDULED = "subscription:cancellation_scheduled"
SUBSCRIPTION_RESUMED = "subscription:resumed"  # a scheduled cancellation or a pause was taken back
SUBSCRIPTION_PAUSED = "subscription:paused"
SUBSCRIPTION_CANCELED = "subscription:canceled"

INVOICE_FINALIZED = "invoice:finalized"
INVOICE_PAID = "invoice:paid"
INVOICE_PAYMENT_FAILED = "invoice:payment_failed"
INVOICE_VOIDED = "invoice:voided"

PAYMENT_METHOD_ATTACHED = "payment_method:attached"
PAYMENT_METHOD_CHANGED = "payment_method:changed"  # another one is the default now
PAYMENT_METHOD_DETACHED = "payment_method:detached"

REFUND_SUCCEEDED = "refund:succeeded"
REFUND_FAILED = "refund:failed"

ACCESS_SUSPENDED = "access:suspended"
ACCESS_RESTORED = "access:restored"

OUTLOOK_CHANGED = "outlook:changed"  # what comes, or when; it is not told as news, but pages look again

NOTICE_PUBLISHED = "notice:published"  # a rule tells the organization something, in its own words

PROVISION_BUILDING = "provision:building"  # what the subscription pays for is being built at AWS
PROVISION_READY = "provision:ready"
PROVISION_TO_BE_STOPPED = "provision:to_be_stopped"  # unless a payment arrives
PROVISION_KEPT = "provision:kept"  # it is not to be stopped any more
PROVISION_STOPPED = "provision:stopped"  # a payment is missing
PROVISION_STARTED = "provision:started"  # it was stopped, and serves again
PROVISION_FAILED = "provision:failed"  # it could not be built
PROVISION_ENDING = "provision:ending"  # the subscription has ended; it is kept for a while
PROVISION_TAKEN_BACK = "provision:taken_back"  # it was to be deleted, and the plan has a server again
PROVISION_DELETED = "provision:deleted"
