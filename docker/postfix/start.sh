#!/bin/sh
# Postfix in the foreground, for the domains of the environment.
set -eu
: "${MAIL_HOST:?is missing: the name in MX}" "${MAIL_DOMAINS:?is missing: the domains after the @}" "${LMTP:?is missing}"
config=${MAIL_CONFIG:-/etc/postfix}
postconf -c "$config" -e "myhostname = $MAIL_HOST" "virtual_mailbox_domains = $MAIL_DOMAINS" "virtual_transport = lmtp:$LMTP"
# What Restante sends comes by a port of its own, which compose.yml publishes nowhere: who reaches it may send anywhere.
relay=${RELAY_PORT:-10025}
postconf -c "$config" -M "$relay/inet=$relay inet n - n - - smtpd"
postconf -c "$config" -P "$relay/inet/mynetworks=0.0.0.0/0,[::]/0" "$relay/inet/smtpd_relay_restrictions=permit_mynetworks,reject" \
  "$relay/inet/smtpd_recipient_restrictions=permit_mynetworks,reject"
exec postfix -c "$config" start-fg
