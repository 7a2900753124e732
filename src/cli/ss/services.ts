/** Names of ports, as ss shows and takes them: /etc/services where there is one, and the well-known few everywhere. */
import { readFileSync } from "node:fs";

const WELL_KNOWN: readonly (readonly [string, number])[] = [
  ["echo", 7],
  ["discard", 9],
  ["daytime", 13],
  ["chargen", 19],
  ["ftp", 21],
  ["ssh", 22],
  ["telnet", 23],
  ["smtp", 25],
  ["domain", 53],
  ["http", 80],
  ["pop3", 110],
  ["imap2", 143],
  ["https", 443],
  ["imaps", 993],
  ["ms-sql-s", 1433],
  ["oracle", 1521],
  ["mysql", 3306],
  ["postgresql", 5432],
  ["redis", 6379],
  ["http-alt", 8080],
  ["memcached", 11211],
];

let tables: { readonly names: ReadonlyMap<number, string>; readonly ports: ReadonlyMap<string, number> } | undefined;

function load(): NonNullable<typeof tables> {
  if (tables !== undefined) return tables;
  const names = new Map<number, string>(),
    ports = new Map<string, number>();
  const add = (name: string, port: number): void => {
    if (!names.has(port)) names.set(port, name);
    if (!ports.has(name)) ports.set(name, port);
  };
  try {
    for (const line of readFileSync("/etc/services", "utf8").split("\n")) {
      const m = /^([^#\s]+)\s+(\d+)\/tcp([^#]*)/.exec(line);
      if (m === null) continue;
      const port = Number(m[2]);
      add(m[1] as string, port);
      for (const alias of (m[3] as string).trim().split(/\s+/)) if (alias !== "") add(alias, port);
    }
  } catch {
    // Small images leave the file out.
  }
  for (const [name, port] of WELL_KNOWN) add(name, port);
  tables = { names, ports };
  return tables;
}

export const serviceName = (port: number): string | undefined => load().names.get(port);
export const servicePort = (name: string): number | undefined => load().ports.get(name);
