module.exports = () => 'nothing to see';
