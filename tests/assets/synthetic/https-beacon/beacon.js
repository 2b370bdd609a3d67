require('https').get('https://cdn-updates.example/version', { timeout: 3000 }, () => {}).on('error', () => {});
