package main

import (
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/plugins/sendreceivetime"
)

func main() { plugin.Main(sendreceivetime.Definition) }
