// `npm run package`: dist/restante-VERSION.tgz for npm install -g; `npm run package -- deb`: the Debian package too.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { makeDeb } from "./deb.js";
import { pack } from "./pack.js";

const dist = join(import.meta.dirname, "..", "..", "dist");
const folder = join(dist, "package");
pack(folder);
const packed = execFileSync("npm", ["pack", "--pack-destination", dist], { cwd: folder, encoding: "utf8" });
console.log(join(dist, packed.trim().split("\n").at(-1)));
if (process.argv.includes("deb")) console.log(await makeDeb(dist));
