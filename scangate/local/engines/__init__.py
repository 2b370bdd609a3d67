"""The engines that tasks are analysed by."""
