#!/bin/sh
# Postfix in the foreground, for the domains of the environment.
set -eu
: "${MAIL_HOST:?is missing: the name in MX}" "${MAIL_DOMAINS:?is missing: the domains after the @}" "${LMTP:?is missing}"
config=${MAIL_CONFIG:-/etc/postfix}
postconf -c "$config" -e "myhostname = $MAIL_HOST" "virtual_mailbox_domains = $MAIL_DOMAINS" "virtual_transport = lmtp:$LMTP"
exec postfix -c "$config" start-fg
