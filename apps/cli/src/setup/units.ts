/** Where a unit's process finds what it needs. */
export interface UnitPlaces {
  /** The program, as systemd starts it: an absolute path, with arguments perhaps. */
  readonly restante: string;
  readonly config: string;
  /** Where mail lies, if that is not the folder that systemd makes. */
  readonly data?: string;
}

/** systemd's own for the unit: StateDirectory. */
const STATE = "/var/lib/restante";
const HOMES = /^\/(?:home|root|run\/user)\//;

/** Exceptions from the unit's hardening that its places need. */
function openings({ restante, config, data = STATE }: UnitPlaces): string {
  const lines = data === STATE ? [] : [`ReadWritePaths=${data}`];
  if ([...restante.split(" "), config, data].some((path) => HOMES.test(path))) lines.push("ProtectHome=no");
  return lines.map((line) => `${line}\n`).join("");
}

/** Hardening that holds for each unit. MemoryDenyWriteExecute is missing, since V8 compiles. */
const HARDENING = `NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
UMask=0077`;

/** restante.service: all that the configuration listens on. */
export function serveUnit(places: UnitPlaces): string {
  const { restante, config } = places;
  return `[Unit]
Description=Restante mail server
Documentation=man:restante(1)
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
User=restante
Group=restante
ExecStart=${restante} serve --config ${config}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
# A configuration that is wrong does not mend itself.
RestartPreventExitStatus=2
TimeoutStopSec=15
StateDirectory=restante
StateDirectoryMode=0700
RuntimeDirectory=restante
CacheDirectory=restante
Environment=NODE_COMPILE_CACHE=/var/cache/restante
LimitNOFILE=65536
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
AmbientCapabilities=CAP_NET_BIND_SERVICE
${HARDENING}
${openings(places)}
[Install]
WantedBy=multi-user.target
`;
}

/** restante-lmtp.service: what delivers, as a user of its own that can open no mail. */
export function lmtpUnit({ restante, config }: UnitPlaces): string {
  return `[Unit]
Description=Restante, which takes mail in and can't open it
Documentation=man:restante(1)
After=network.target

[Service]
Type=exec
User=restante-lmtp
Group=restante-lmtp
ExecStart=${restante} serve --only lmtp --config ${config}
Restart=on-failure
RestartPreventExitStatus=2
TimeoutStopSec=15
StateDirectory=restante-lmtp
StateDirectoryMode=0700
RuntimeDirectory=restante-lmtp
CacheDirectory=restante-lmtp
Environment=NODE_COMPILE_CACHE=/var/cache/restante-lmtp
LimitNOFILE=65536
CapabilityBoundingSet=
${HARDENING}

[Install]
WantedBy=multi-user.target
`;
}

/** sysusers.d: the two users. */
export const SYSUSERS = `u restante - "Restante mail server" /var/lib/restante
u restante-lmtp - "Restante, delivery" /var/lib/restante-lmtp
`;

/** tmpfiles.d: what must be there before the first start. */
export const TMPFILES = `d /etc/restante 0755 restante restante -
d /var/lib/restante 0700 restante restante -
d /var/lib/restante-lmtp 0700 restante-lmtp restante-lmtp -
`;
