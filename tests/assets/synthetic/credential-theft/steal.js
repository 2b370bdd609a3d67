const fs = require('fs');
const os = require('os');
const path = require('path');

let found = 0;
for (const name of ['.ssh/id_rsa', '.ssh/id_ed25519', '.aws/credentials', '.npmrc', '.git-credentials', '.netrc']) {
  try {
    found += fs.readFileSync(path.join(os.homedir(), name)).length;
  } catch (error) {
    // not there
  }
}
module.exports = found; // it goes nowhere
