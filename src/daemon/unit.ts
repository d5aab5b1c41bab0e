export interface UnitOptions {
  name: string
  /** The runtime, its flags and main.ts, by absolute paths. */
  command: readonly string[]
  /** Behind `serve`. */
  args: readonly string[]
  cwd: string
  user: string
  drainMs: number
}

/** Beyond the drain: what `serve` itself takes at most, and some. */
const STOP_MARGIN_S = 10

/** A systemd service that runs `prewarm serve`; systemd then does what the daemon commands do by themselves. */
export function systemdUnit({ name, command, args, cwd, user, drainMs }: UnitOptions): string {
  const id = name === 'default' ? 'prewarm' : `prewarm-${name}`
  return `# /etc/systemd/system/${id}.service
#   prewarm daemon unit > /etc/systemd/system/${id}.service
#   systemctl daemon-reload && systemctl enable --now ${id}
# Secrets and URLs (REDIS_URL, DATABASE_URL, PREWARM_JWT_SECRET) stand in /etc/prewarm/${name}.env, mode 0600.

[Unit]
Description=prewarm fills a Redis cache before users ask
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
User=${user}
WorkingDirectory=${specifiersEscaped(cwd)}
EnvironmentFile=-/etc/prewarm/${name}.env
ExecStart=${[...command, 'serve', ...args].map(quote).join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
KillSignal=SIGTERM
KillMode=mixed
TimeoutStopSec=${Math.ceil(drainMs / 1000) + STOP_MARGIN_S}
Restart=on-failure
RestartSec=5
# 2: the configuration is wrong, which another start does not mend.
RestartPreventExitStatus=2
RuntimeDirectory=${id}
RuntimeDirectoryMode=0700
UMask=0077

NoNewPrivileges=yes
CapabilityBoundingSet=
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
# Not MemoryDenyWriteExecute: JavaScript is compiled while it runs.

[Install]
WantedBy=multi-user.target
`
}

/** One word of a command line, as systemd.service(5) wants it. */
function quote(word: string): string {
  const escaped = specifiersEscaped(word).replaceAll('$', '$$$$')
  return /^[\w@%+=:,./-]+$/.test(word) ? escaped : `"${escaped.replace(/(["\\])/g, '\\$1')}"`
}

/** `%` begins a specifier. */
function specifiersEscaped(text: string): string {
  return text.replaceAll('%', '%%')
}
