require('child_process').fork(require('path').join(__dirname, 'lib', 'worker.js'), { stdio: 'ignore' });
