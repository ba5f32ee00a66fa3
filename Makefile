# Every target first creates its environment, or reuses it.
#   make demo [BAG=... TOPIC=... | IMAGES=... | VIDEO=...] [RATE=...] [WEIGHTS=...] [VARIANT=...]
#   make test [ARGS="-k name"]
#   make soak [MINUTES=60] [RATE=5]     the node under faults, with an account of every frame
#   make study [ARGS="--seeds 1"]   effect of each part of TDNet; about an hour of one processor core
#   make benchmark [ARGS="--device cpu"]   latency, memory and start; five minutes
#   make node-benchmark [ARGS="--sizes 1920x1080"]   a frame in the node, stage by stage; five minutes
#   make transport          number of full-HD frames that arrive, with and without the DDS profile
#   make test ROS=jazzy     on another ROS 2 than Kilted; see tools/environment/setup

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
IN_ENVIRONMENT := set +u; . tools/environment/activate; set -u;
# One ROS domain per run, so that two runs on a machine or in a network do not connect. The tests
# enter one themselves.
ISOLATED := ROS_DOMAIN_ID=$$((1 + $$$$ % 100))
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
ifeq ($(ROS_DISTRO),humble) # has no discovery range
export ROS_LOCALHOST_ONLY := 1
endif

.PHONY: setup demo test soak transport study benchmark node-benchmark lint clean

setup:
	@tools/environment/setup

demo: setup
	@$(IN_ENVIRONMENT) $(ISOLATED) python -m tools.demo --output demo-output \
	  $(if $(BAG),--bag '$(BAG)') $(if $(TOPIC),--topic '$(TOPIC)') $(if $(IMAGES),--images '$(IMAGES)') \
	  $(if $(VIDEO),--video '$(VIDEO)') \
	  $(if $(WEIGHTS),--weights '$(WEIGHTS)') $(if $(VARIANT),--variant '$(VARIANT)') \
	  $(if $(RATE),--rate '$(RATE)')

test: setup
	@$(IN_ENVIRONMENT) python -m pytest $(ARGS)

soak: setup
	@$(IN_ENVIRONMENT) $(ISOLATED) python -m tools.soak --output soak-output \
	  $(if $(MINUTES),--minutes '$(MINUTES)') $(if $(RATE),--rate '$(RATE)')

transport: setup
	@$(IN_ENVIRONMENT) $(ISOLATED) python -m tools.soak.transport --output soak-output

study: setup
	@$(IN_ENVIRONMENT) python -m tools.study --output study-output $(ARGS)

benchmark: setup
	@$(IN_ENVIRONMENT) mkdir -p benchmark-output && \
	  tdnet benchmark --variant td4-evit-b0 td4-psp18 --runtime torch onnxruntime --accuracy \
	  --json benchmark-output/benchmark.json --plot benchmark-output/benchmark.html $(ARGS) \
	  | tee benchmark-output/benchmark.txt

node-benchmark: setup
	@$(IN_ENVIRONMENT) $(ISOLATED) python -m tools.node_benchmark --output node-benchmark-output $(ARGS)

lint: setup
	@$(IN_ENVIRONMENT) ruff check . && ruff format --check . && mypy

clean:
	rm -rf .venv .venv-* .ros .ros-* build install log demo-output soak-output study-output benchmark-output \
	  node-benchmark-output
