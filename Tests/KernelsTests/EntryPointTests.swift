import Kernels
import Testing
