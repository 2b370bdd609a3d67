// Imports an npm package from /app: `require`, then `import()` where that fails. Bound read-only into the sandbox.
// Says what it imports in the words of the service's harness ("Importing X", "Failed to import X").
"use strict";

const fs = require("fs");
const Module = require("module");
const path = require("path");

const LINGER_MS = 5000;
const CODE_FILE = /\.(?:[cm]?js|node|json)$/;

const [root, name] = process.argv.slice(2);
process.argv.length = 1;
const end = process.reallyExit.bind(process, 0);
const say = (line) => fs.writeSync(1, `${line}\n`);
const complain = (error) => fs.writeSync(2, `${(error && error.stack) || error}\n`);

// What a module does is looked at, not how it ends.
process.on("uncaughtException", complain);
process.on("exit", () => { process.exitCode = 0; });

function entries() {
  const folder = path.join(root, "node_modules", name);
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
  const { exports } = manifest;
  if (exports && typeof exports === "object" && !Array.isArray(exports)) {
    const keys = Object.keys(exports);
    if (keys.length && keys.every((key) => key.startsWith(".")) && !keys.includes(".")) {
      const usable = (key) => !key.includes("*") && key !== "./package.json" && exports[key] !== null;
      return keys.filter(usable).map((key) => name + key.slice(1));
    }
    return [name];
  }
  if (exports || manifest.main || manifest.module) return [name];
  const has = (file) => fs.existsSync(path.join(folder, file));
  return ["index.js", "index.json", "index.node"].some(has) ? [name] : [];
}

async function load(loader, entry) {
  say(`Importing ${entry}`);
  let first;
  try {
    return loader.exports.require(entry);
  } catch (error) {
    first = error;
  }
  try {
    return await loader.exports.import(entry);
  } catch (error) {
    say(`Failed to import ${entry}`);
    complain(first);
    return complain(error);
  }
}

async function main() {
  // Compiled under a name below the root, so that both ways of importing look where the package is.
  const place = path.join(root, "main.js");
  const loader = new Module(place);
  loader.filename = place;
  loader.paths = Module._nodeModulePaths(root);
  loader._compile("exports.require = (name) => require(name); exports.import = (name) => import(name);", place);
  const found = entries();
  if (!found.length) say(`Nothing to import: ${name} has no entry point`);
  for (const entry of found) await load(loader, entry);
  setTimeout(end, LINGER_MS).unref();
}

main().catch(complain);
