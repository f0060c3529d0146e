import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { assert, type Interop, need } from "./harness.ts";

const ROOT = join(import.meta.dirname, "../..");
const FREE = '"127.0.0.1:0"';
const LISTEN = `[lmtp]\nlisten = [${FREE}]\n[imap]\nlisten = [${FREE}]\n[imaps]\nlisten = [${FREE}]\n[https]\nlisten = [${FREE}]\n[submission]\nlisten = [${FREE}]\n[submissions]\nlisten = [${FREE}]\n`;

function run(command: string, args: readonly string[], cwd = ROOT): string {
  return execFileSync(command, args, { cwd, encoding: "utf8", maxBuffer: 2 ** 24, stdio: ["ignore", "pipe", "pipe"] });
}

/** Runs a server until it is ready, then `use` with its LMTP port; it must end well. */
async function serve(
  command: string,
  args: readonly string[],
  cwd: string,
  use: (lmtp: number) => Promise<void>,
  end: (child: ChildProcessWithoutNullStreams) => void = (child) => child.kill("SIGTERM"),
): Promise<void> {
  const child = spawn(command, args, { cwd });
  let [out, err] = ["", ""];
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = once(child, "exit") as Promise<[number | null]>;
  const ready = (async () => {
    for await (const chunk of child.stdout) {
      out += String(chunk);
      if (out.includes("Restante is ready")) return;
    }
    throw new Error(`${command} ${args.join(" ")} ended: ${err}`);
  })();
  await ready;
  try {
    await use(Number(/^listening lmtp .*:(\d+)$/m.exec(out)?.[1]));
  } finally {
    end(child);
  }
  const [code] = await ended;
  assert(code === 0, `ended with ${code}: ${err}`);
}

async function expectDelivery(lmtp: number, address: string): Promise<void> {
  const client = await connectLmtp(lmtp);
  const replies = await deliver(client, [address], "Subject: x\r\n\r\nx\r\n");
  client.end();
  assert(
    replies.every((reply) => reply.startsWith("250")),
    replies.join(),
  );
}

/** The system calls that a unit's SystemCallFilter lines leave. */
function callsOf(unit: string): ReadonlySet<string> {
  const groups = new Map<string, string[]>();
  let inGroup: string[] = [];
  for (const line of run("systemd-analyze", ["syscall-filter"]).split("\n")) {
    const name = line.trim();
    // A group's name begins its line; what it holds is indented.
    if (line.startsWith("@")) {
      inGroup = [];
      groups.set(name, inGroup);
    } else if (line.startsWith(" ") && !name.startsWith("#")) inGroup.push(name);
  }
  const expand = (name: string): Set<string> =>
    name.startsWith("@") ? new Set((groups.get(name) ?? []).flatMap((one) => [...expand(one)])) : new Set([name]);
  const left = expand("@default");
  for (const [, except, names] of readFileSync(unit, "utf8").matchAll(/^SystemCallFilter=(~?)(.*)$/gm))
    for (const name of names!.split(" ").flatMap((one) => [...expand(one)]))
      if (except) left.delete(name);
      else left.add(name);
  return new Set([...left, ...expand("@default")]);
}

/** The packages that `npm run package` makes, installed as anybody would. */
export const packages: Interop = async (steps) => {
  need({
    strace: "/usr/bin/strace",
    man: "/usr/bin/man",
    systemd: "/usr/bin/systemd-analyze",
    zsh: "/usr/bin/zsh",
    fish: "/usr/bin/fish",
  });
  const place = mkdtempSync(join(tmpdir(), "restante-package-"));
  const lines = run("npm", ["run", "--silent", "package", "--", "deb"]).trim().split("\n");
  const [archive, deb] = [lines.find((line) => line.endsWith(".tgz"))!, lines.find((line) => line.endsWith(".deb"))!];

  await steps.step("the packed form installs by npm install -g, and serves", async () => {
    const prefix = join(place, "npm");
    // Below `npm run` npm takes a prefix that is there alone.
    mkdirSync(join(prefix, "lib"), { recursive: true });
    run("npm", ["install", "--global", `--prefix=${prefix}`, archive]);
    const program = join(prefix, "bin/restante");
    assert(/^\d+\.\d+\.\d+\n$/.test(run(program, ["--version"])), "version");
    const home = mkdtempSync(join(place, "home-"));
    writeFileSync(join(home, "restante.toml"), LISTEN);
    const added = execFileSync(program, ["account", "add", "ada@example.org", "--password-stdin"], {
      cwd: home,
      input: "correct horse battery\n",
      encoding: "utf8",
    });
    assert(added.includes("Recovery code: "), added);
    await serve(program, ["serve"], home, (lmtp) => expectDelivery(lmtp, "ada@example.org"));
  });

  await steps.step("the Debian package installs, with users, folders, units, manual and completion", () => {
    run("dpkg", ["-i", deb]);
    for (const user of ["restante", "restante-lmtp"]) run("id", [user]);
    assert(run("stat", ["-c", "%U %a", "/var/lib/restante"]) === "restante 700\n", "owner of the data folder");
    const units = ["restante.service", "restante-lmtp.service"].map((name) => `/usr/lib/systemd/system/${name}`);
    run("systemd-analyze", ["verify", "--man=no", ...units]);
    for (const unit of units) {
      const exposure = Number(
        /([\d.]+) \w+ \S*$/m.exec(run("systemd-analyze", ["security", "--offline=yes", "--no-pager", unit]))?.[1],
      );
      assert(exposure < 3, `${unit} is exposed: ${exposure}`);
    }
    assert(run("man", ["--pager=cat", "restante"]).includes("restante account add ADDRESS"), "manual");
    run("bash", ["-n", "/usr/share/bash-completion/completions/restante"]);
    run("zsh", ["-n", "/usr/share/zsh/vendor-completions/_restante"]);
    run("fish", ["--no-execute", "/usr/share/fish/vendor_completions.d/restante.fish"]);
    const offered = run("fish", ["-c", 'complete -C "restante account re"']);
    assert(offered.startsWith("recover\t"), offered);
  });

  await steps.step(
    "its server runs as its own user, and delivery as another that can't read the server's folder",
    async () => {
      const [config, lmtpConfig] = ["/etc/restante/restante.toml", "/etc/restante/lmtp.toml"];
      const asUser = (user: string, ...args: string[]): string[] => [
        `--reuid=${user}`,
        `--regid=${user}`,
        "--clear-groups",
        "restante",
        ...args,
      ];
      assert(
        !existsSync(config) && !existsSync(lmtpConfig),
        "a configuration is there: this machine has one of its own",
      );
      const users = "/var/lib/restante-lmtp/users";
      writeFileSync(config, `[server]\ndata = "/var/lib/restante"\n${LISTEN}`);
      writeFileSync(lmtpConfig, `[server]\ndata = "/var/lib/restante-lmtp"\n[lmtp]\nlisten = [${FREE}]\n`);
      const byRoot = spawnSync("restante", ["serve", "--config", config], { encoding: "utf8" });
      assert(byRoot.status === 2 && byRoot.stderr.includes("setpriv --reuid="), `root: ${byRoot.stderr}`);
      // Root's own commands work as the server's user.
      run("restante", ["config", "check", "--config", config]);
      const added = execFileSync(
        "restante",
        ["--config", config, "account", "add", "ada@example.org", "--password-stdin"],
        {
          input: "correct horse battery\n",
          encoding: "utf8",
          cwd: "/",
        },
      );
      assert(added.includes("Recovery code: "), added);
      const owners = run("find", ["/var/lib/restante", "-printf", "%u\\n"]);
      assert(new Set(owners.trim().split("\n")).size === 1 && owners.startsWith("restante\n"), owners);
      await serve("setpriv", asUser("restante", "serve", "--config", config), "/", (lmtp) =>
        expectDelivery(lmtp, "ada@example.org"),
      );
      // systemd kills who makes a call that the unit has not.
      const calls = join(place, "calls");
      writeFileSync(calls, "");
      run("chmod", ["666", calls]);
      // strace keeps signals from who it follows, and from itself: its child ends itself.
      const program = `restante serve --config ${config} & read -r line; kill $!; wait $!`;
      const traced = ["-f", "-qq", "-u", "restante", "-o", calls, "sh", "-c", program];
      await serve(
        "strace",
        traced,
        "/",
        (lmtp) => expectDelivery(lmtp, "ada@example.org"),
        (child) => child.stdin.end("\n"),
      );
      const made = new Set([...readFileSync(calls, "utf8").matchAll(/^\d+\s+(\w+)\(/gm)].map(([, name]) => name!));
      const allowed = callsOf("/usr/lib/systemd/system/restante.service");
      const refused = [...made].filter((name) => !allowed.has(name));
      assert(made.size > 40 && refused.length === 0, `calls that the unit refuses: ${refused.join(" ")}`);
      run("install", ["-d", "-o", "restante-lmtp", "-m", "0700", users]);
      run("sh", ["-c", `cp /var/lib/restante/users/* ${users} && chown restante-lmtp ${users}/*`]);
      await serve("setpriv", asUser("restante-lmtp", "serve", "--only", "lmtp", "--config", lmtpConfig), "/", (lmtp) =>
        expectDelivery(lmtp, "ada@example.org"),
      );
      const reader = spawn(
        "setpriv",
        ["--reuid=restante-lmtp", "--regid=restante-lmtp", "--clear-groups", "cat", "/var/lib/restante/keys/pepper"],
        {
          stdio: "ignore",
        },
      );
      assert(((await once(reader, "exit")) as [number])[0] !== 0, "delivery reads the pepper");
    },
  );

  await steps.step("removed, it leaves mail and configuration, and no program", () => {
    run("dpkg", ["-r", "restante"]);
    assert(!existsSync("/usr/bin/restante") && !existsSync("/usr/lib/restante/bin"), "the program is there");
    assert(readFileSync("/etc/restante/restante.toml", "utf8").includes("/var/lib/restante"), "configuration");
    for (const folder of ["/etc/restante", "/var/lib/restante", "/var/lib/restante-lmtp"])
      rmSync(folder, { recursive: true });
    run("dpkg", ["--purge", "restante"]);
  });
  rmSync(place, { recursive: true });
};
