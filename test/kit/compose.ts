import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const ROOT = join(import.meta.dirname, "../..");
const DOCKER: string = join(ROOT, "docker");
const COMPOSE_FILE: string = join(DOCKER, "compose.yml");

/** Values that the compose file asks of its operator; env.example has the same names. */
const GIVEN: Readonly<Record<string, string>> = {
  MAIL_HOST: "mx.example.org",
  MAIL_DOMAINS: "example.org",
  GARAGE_ACCESS_KEY: `GK${"0a".repeat(12)}`,
  GARAGE_SECRET_KEY: "1b".repeat(32),
  GARAGE_RPC_SECRET: "2c".repeat(32),
  GARAGE_ADMIN_TOKEN: "3d".repeat(16),
};

export interface ComposeService {
  readonly build: string | { readonly context: string; readonly dockerfile: string };
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
}

export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** The compose file, with what it asks for filled in. Throws when it asks for something that nobody was told of. */
export function readCompose(): Compose {
  const example = readFileSync(join(DOCKER, "env.example"), "utf8");
  const text = readFileSync(COMPOSE_FILE, "utf8").replace(/\$\{(\w+):\?[^}]*\}/g, (_whole, name: string) => {
    const value = GIVEN[name];
    if (value === undefined || !example.includes(`\n${name}=`)) throw new Error(`${name} is not in env.example`);
    return value;
  });
  return parse(text) as Compose;
}

export interface Image {
  readonly folder: string;
  readonly dockerfile: string;
  /** Command of a container of it: its ENTRYPOINT and CMD. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Paths that are copied from its folder, not from an earlier stage. */
  readonly sources: readonly string[];
}

export function readImage({ build }: ComposeService): Image {
  const folder = join(DOCKER, typeof build === "string" ? build : build.context);
  const dockerfile = join(folder, typeof build === "string" ? "Dockerfile" : build.dockerfile);
  const lines = readFileSync(dockerfile, "utf8").split("\n");
  const of = (instruction: string): string[] =>
    lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1));
  const words = (instruction: string): string[] => of(instruction).flatMap((text) => JSON.parse(text) as string[]);
  return {
    folder,
    dockerfile,
    command: [...words("ENTRYPOINT"), ...words("CMD")],
    environment: Object.fromEntries(of("ENV").map((text) => text.split("=", 2) as [string, string])),
    sources: of("COPY").flatMap((text) => (text.startsWith("--from=") ? [] : text.split(" ").slice(0, -1))),
  };
}

/** Output of `docker compose config`, by whichever client is here; undefined where there is none. */
export function composeConfig():
  | { readonly client: string; readonly code: number | null; readonly out: string }
  | undefined {
  for (const [client, ...words] of [["docker", "compose"], ["docker-compose"]] as const) {
    if (spawnSync(client, [...words, "version"]).status !== 0) continue;
    const ran = spawnSync(client, [...words, "-f", COMPOSE_FILE, "config"], {
      env: { ...process.env, ...GIVEN },
      encoding: "utf8",
    });
    return { client: [client, ...words].join(" "), code: ran.status, out: ran.stdout + ran.stderr };
  }
  return undefined;
}
